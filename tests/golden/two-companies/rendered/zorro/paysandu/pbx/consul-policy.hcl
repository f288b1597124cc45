key "riti/demo/blocked" {
  policy = "read"
}

key "riti/demo/pbx/zorro/paysandu/1" {
  policy = "read"
}
