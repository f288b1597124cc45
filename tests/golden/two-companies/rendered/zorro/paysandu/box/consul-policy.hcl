key "riti/demo/pbx/zorro/paysandu/box/1" {
  policy = "read"
}

key "riti/demo/blocked" {
  policy = "read"
}

key "riti/demo/generation/zorro/paysandu" {
  policy = "read"
}

key "riti/demo/image/zorro/paysandu" {
  policy = "read"
}

key "riti/demo/box/zorro/paysandu/word" {
  policy = "write"
}

key "riti/demo/box/zorro/paysandu/report" {
  policy = "write"
}

key "riti/demo/box/zorro/paysandu/generation" {
  policy = "write"
}

key "riti/demo/enroll/zorro/paysandu/request" {
  policy = "write"
}

key "riti/demo/enroll/zorro/paysandu/reply" {
  policy = "read"
}

service "box-demo--zorro--paysandu" {
  policy = "write"
}
