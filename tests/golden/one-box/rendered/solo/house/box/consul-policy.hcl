key "riti/pilot/pbx/solo/house/box/1" {
  policy = "read"
}

key "riti/pilot/blocked" {
  policy = "read"
}

key "riti/pilot/generation/solo/house" {
  policy = "read"
}

key "riti/pilot/image/solo/house" {
  policy = "read"
}

key "riti/pilot/box/solo/house/word" {
  policy = "write"
}

key "riti/pilot/box/solo/house/report" {
  policy = "write"
}

key "riti/pilot/box/solo/house/generation" {
  policy = "write"
}

key "riti/pilot/enroll/solo/house/request" {
  policy = "write"
}

key "riti/pilot/enroll/solo/house/reply" {
  policy = "read"
}

service "box-pilot--solo--house" {
  policy = "write"
}
