key "riti/whole/pbx/granja/montevideo/1" {
  policy = "read"
}
