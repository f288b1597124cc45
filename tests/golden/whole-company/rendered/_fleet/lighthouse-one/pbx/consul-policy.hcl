key "riti/whole/blocked" {
  policy = "read"
}

key "riti/whole/never" {
  policy = "read"
}

key "riti/whole/pbx/lighthouse/one/1" {
  policy = "read"
}
