key "riti/demo/blocked" {
  policy = "read"
}

key "riti/demo/pbx/acme/salto/1" {
  policy = "read"
}
