key "riti/demo/pbx/acme/montevideo/box/1" {
  policy = "read"
}

key "riti/demo/blocked" {
  policy = "read"
}

key "riti/demo/generation/acme/montevideo" {
  policy = "read"
}

key "riti/demo/image/acme/montevideo" {
  policy = "read"
}

key "riti/demo/box/acme/montevideo/word" {
  policy = "write"
}

key "riti/demo/box/acme/montevideo/report" {
  policy = "write"
}

key "riti/demo/box/acme/montevideo/generation" {
  policy = "write"
}

key "riti/demo/enroll/acme/montevideo/request" {
  policy = "write"
}

key "riti/demo/enroll/acme/montevideo/reply" {
  policy = "read"
}

service "box-demo--acme--montevideo" {
  policy = "write"
}
