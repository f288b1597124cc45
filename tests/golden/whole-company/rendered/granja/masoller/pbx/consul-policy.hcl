key "riti/whole/pbx/granja/masoller/1" {
  policy = "read"
}
