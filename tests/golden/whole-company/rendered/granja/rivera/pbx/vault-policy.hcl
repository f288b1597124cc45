path "riti/data/whole/pbx/granja/rivera" {
  capabilities = ["read"]
}
