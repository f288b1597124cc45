key "riti/demo/blocked" {
  policy = "read"
}

key "riti/demo/never" {
  policy = "read"
}

key "riti/demo/pbx/zorro/paysandu/1" {
  policy = "read"
}

key_prefix "riti/demo/generation/zorro/" {
  policy = "read"
}

key "riti/demo/generation/zorro/paysandu" {
  policy = "write"
}
