key "riti/pilot/blocked" {
  policy = "read"
}

key "riti/pilot/pbx/solo/house/1" {
  policy = "read"
}
