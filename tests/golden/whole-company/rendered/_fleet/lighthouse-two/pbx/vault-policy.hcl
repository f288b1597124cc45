path "riti/data/whole/lighthouse/two" {
  capabilities = ["read"]
}
