key "riti/whole/pbx/granja/masoller/box/1" {
  policy = "read"
}

key "riti/whole/blocked" {
  policy = "read"
}

key "riti/whole/generation/granja/masoller" {
  policy = "read"
}

key "riti/whole/image/granja/masoller" {
  policy = "read"
}

key "riti/whole/box/granja/masoller/word" {
  policy = "write"
}

key "riti/whole/box/granja/masoller/report" {
  policy = "write"
}

key "riti/whole/box/granja/masoller/generation" {
  policy = "write"
}

key "riti/whole/enroll/granja/masoller/request" {
  policy = "write"
}

key "riti/whole/enroll/granja/masoller/reply" {
  policy = "read"
}

service "box-whole--granja--masoller" {
  policy = "write"
}
