key "riti/whole/pbx/granja/salto/box/1" {
  policy = "read"
}

key "riti/whole/blocked" {
  policy = "read"
}

key "riti/whole/generation/granja/salto" {
  policy = "read"
}

key "riti/whole/image/granja/salto" {
  policy = "read"
}

key "riti/whole/box/granja/salto/word" {
  policy = "write"
}

key "riti/whole/box/granja/salto/report" {
  policy = "write"
}

key "riti/whole/box/granja/salto/generation" {
  policy = "write"
}

key "riti/whole/enroll/granja/salto/request" {
  policy = "write"
}

key "riti/whole/enroll/granja/salto/reply" {
  policy = "read"
}

service "box-whole--granja--salto" {
  policy = "write"
}
