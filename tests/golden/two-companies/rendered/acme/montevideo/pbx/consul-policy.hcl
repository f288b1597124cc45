key "riti/demo/blocked" {
  policy = "read"
}

key "riti/demo/pbx/acme/montevideo/1" {
  policy = "read"
}
