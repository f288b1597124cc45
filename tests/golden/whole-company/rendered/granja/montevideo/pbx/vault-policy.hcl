path "riti/data/whole/pbx/granja/montevideo" {
  capabilities = ["read"]
}
