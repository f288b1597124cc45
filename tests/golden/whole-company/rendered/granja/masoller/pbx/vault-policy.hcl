path "riti/data/whole/pbx/granja/masoller" {
  capabilities = ["read"]
}
