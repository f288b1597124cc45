path "riti/data/whole/lighthouse/one" {
  capabilities = ["read"]
}
