path "riti/data/demo/pbx/acme/montevideo" {
  capabilities = ["read"]
}
