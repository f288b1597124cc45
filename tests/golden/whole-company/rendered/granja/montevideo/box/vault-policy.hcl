path "riti/data/whole/box/granja/montevideo" {
  capabilities = ["read"]
}

path "identity/oidc/token/riti-box-whole" {
  capabilities = ["read"]
}

path "auth/token/revoke-self" {
  capabilities = ["update"]
}
