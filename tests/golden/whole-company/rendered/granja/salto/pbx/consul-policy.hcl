key "riti/whole/blocked" {
  policy = "read"
}

key "riti/whole/pbx/granja/salto/1" {
  policy = "read"
}
