path "riti/data/pilot/lighthouse/two" {
  capabilities = ["read"]
}
