path "riti/data/pilot/lighthouse/one" {
  capabilities = ["read"]
}
