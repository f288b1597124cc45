key "riti/pilot/blocked" {
  policy = "read"
}

key "riti/pilot/never" {
  policy = "read"
}

key "riti/pilot/pbx/lighthouse/one/1" {
  policy = "read"
}
