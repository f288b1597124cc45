path "riti/data/whole/pbx/granja/salto" {
  capabilities = ["read"]
}
