path "riti/data/demo/pbx/zorro/paysandu" {
  capabilities = ["read"]
}
