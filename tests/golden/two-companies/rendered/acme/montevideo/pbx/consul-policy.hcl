key "riti/demo/blocked" {
  policy = "read"
}

key "riti/demo/never" {
  policy = "read"
}

key "riti/demo/pbx/acme/montevideo/1" {
  policy = "read"
}

key_prefix "riti/demo/generation/acme/" {
  policy = "read"
}

key "riti/demo/generation/acme/montevideo" {
  policy = "write"
}
