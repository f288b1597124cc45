key "riti/demo/pbx/zorro/paysandu/1" {
  policy = "read"
}
