key "riti/demo/pbx/acme/salto/1" {
  policy = "read"
}
