path "riti/data/demo/lighthouse/one" {
  capabilities = ["read"]
}
