key "riti/whole/blocked" {
  policy = "read"
}

key "riti/whole/pbx/granja/rivera/1" {
  policy = "read"
}
