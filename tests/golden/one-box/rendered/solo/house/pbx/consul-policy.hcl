key "riti/pilot/blocked" {
  policy = "read"
}

key "riti/pilot/never" {
  policy = "read"
}

key "riti/pilot/pbx/solo/house/1" {
  policy = "read"
}

key_prefix "riti/pilot/generation/solo/" {
  policy = "read"
}

key "riti/pilot/generation/solo/house" {
  policy = "write"
}
