path "riti/data/pilot/pbx/solo/house" {
  capabilities = ["read"]
}
