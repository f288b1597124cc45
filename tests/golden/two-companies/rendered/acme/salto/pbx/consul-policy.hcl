key "riti/demo/blocked" {
  policy = "read"
}

key "riti/demo/never" {
  policy = "read"
}

key "riti/demo/pbx/acme/salto/1" {
  policy = "read"
}

key_prefix "riti/demo/generation/acme/" {
  policy = "read"
}

key "riti/demo/generation/acme/salto" {
  policy = "write"
}
