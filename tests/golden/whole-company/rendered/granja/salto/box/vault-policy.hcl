path "riti/data/whole/box/granja/salto" {
  capabilities = ["read"]
}

path "identity/oidc/token/riti-box-whole" {
  capabilities = ["read"]
}

path "auth/token/revoke-self" {
  capabilities = ["update"]
}
