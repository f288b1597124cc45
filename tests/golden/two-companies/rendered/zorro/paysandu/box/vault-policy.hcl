path "riti/data/demo/box/zorro/paysandu" {
  capabilities = ["read"]
}

path "identity/oidc/token/riti-box-demo" {
  capabilities = ["read"]
}

path "auth/token/revoke-self" {
  capabilities = ["update"]
}
