key "riti/whole/pbx/granja/montevideo/box/1" {
  policy = "read"
}

key "riti/whole/blocked" {
  policy = "read"
}

key "riti/whole/generation/granja/montevideo" {
  policy = "read"
}

key "riti/whole/image/granja/montevideo" {
  policy = "read"
}

key "riti/whole/box/granja/montevideo/word" {
  policy = "write"
}

key "riti/whole/box/granja/montevideo/report" {
  policy = "write"
}

key "riti/whole/box/granja/montevideo/generation" {
  policy = "write"
}

key "riti/whole/enroll/granja/montevideo/request" {
  policy = "write"
}

key "riti/whole/enroll/granja/montevideo/reply" {
  policy = "read"
}

service "box-whole--granja--montevideo" {
  policy = "write"
}
