key "riti/demo/blocked" {
  policy = "read"
}

key "riti/demo/never" {
  policy = "read"
}

key "riti/demo/pbx/lighthouse/one/1" {
  policy = "read"
}
