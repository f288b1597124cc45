key "riti/whole/pbx/granja/rivera/1" {
  policy = "read"
}
