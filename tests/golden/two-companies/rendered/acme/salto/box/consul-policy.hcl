key "riti/demo/pbx/acme/salto/box/1" {
  policy = "read"
}

key "riti/demo/blocked" {
  policy = "read"
}

key "riti/demo/generation/acme/salto" {
  policy = "read"
}

key "riti/demo/image/acme/salto" {
  policy = "read"
}

key "riti/demo/box/acme/salto/word" {
  policy = "write"
}

key "riti/demo/box/acme/salto/report" {
  policy = "write"
}

key "riti/demo/box/acme/salto/generation" {
  policy = "write"
}

key "riti/demo/enroll/acme/salto/request" {
  policy = "write"
}

key "riti/demo/enroll/acme/salto/reply" {
  policy = "read"
}

service "box-demo--acme--salto" {
  policy = "write"
}
