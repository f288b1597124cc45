key "riti/whole/pbx/granja/rivera/box/1" {
  policy = "read"
}

key "riti/whole/blocked" {
  policy = "read"
}

key "riti/whole/generation/granja/rivera" {
  policy = "read"
}

key "riti/whole/image/granja/rivera" {
  policy = "read"
}

key "riti/whole/box/granja/rivera/word" {
  policy = "write"
}

key "riti/whole/box/granja/rivera/report" {
  policy = "write"
}

key "riti/whole/box/granja/rivera/generation" {
  policy = "write"
}

key "riti/whole/enroll/granja/rivera/request" {
  policy = "write"
}

key "riti/whole/enroll/granja/rivera/reply" {
  policy = "read"
}

service "box-whole--granja--rivera" {
  policy = "write"
}
