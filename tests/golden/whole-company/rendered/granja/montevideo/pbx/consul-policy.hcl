key "riti/whole/blocked" {
  policy = "read"
}

key "riti/whole/pbx/granja/montevideo/1" {
  policy = "read"
}
