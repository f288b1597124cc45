path "riti/data/whole/box/granja/rivera" {
  capabilities = ["read"]
}

path "identity/oidc/token/riti-box-whole" {
  capabilities = ["read"]
}

path "auth/token/revoke-self" {
  capabilities = ["update"]
}
