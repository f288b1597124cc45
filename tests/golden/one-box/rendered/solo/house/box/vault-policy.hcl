path "riti/data/pilot/box/solo/house" {
  capabilities = ["read"]
}

path "identity/oidc/token/riti-box-pilot" {
  capabilities = ["read"]
}

path "auth/token/revoke-self" {
  capabilities = ["update"]
}
