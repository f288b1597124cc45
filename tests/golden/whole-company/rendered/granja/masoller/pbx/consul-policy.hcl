key "riti/whole/blocked" {
  policy = "read"
}

key "riti/whole/never" {
  policy = "read"
}

key "riti/whole/pbx/granja/masoller/1" {
  policy = "read"
}

key_prefix "riti/whole/generation/granja/" {
  policy = "read"
}

key "riti/whole/generation/granja/masoller" {
  policy = "write"
}
