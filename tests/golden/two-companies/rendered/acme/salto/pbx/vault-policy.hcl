path "riti/data/demo/pbx/acme/salto" {
  capabilities = ["read"]
}
