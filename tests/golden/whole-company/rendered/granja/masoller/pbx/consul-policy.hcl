key "riti/whole/blocked" {
  policy = "read"
}

key "riti/whole/pbx/granja/masoller/1" {
  policy = "read"
}
