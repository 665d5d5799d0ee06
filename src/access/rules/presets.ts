/** Ready sets of rules, each as the file that `ipdr access init` writes */
export const presets = ['private', 'public-pull', 'open'] as const

export type Preset = (typeof presets)[number]

export const administrator = 'admin'

const head = `# Who may do what. Rules add up in any order: one that allows is enough; "effect: deny" beats them all.
#   who           anonymous (everybody), authenticated, user:<name>, group:<name>, issuer:<name>, cert:<name>,
#                 network:<address>/<bits>, peer:<id>, swarm
#   repositories  patterns: * within a part of the name, ** across its parts
#   actions       pull, push (new tags included), tag (move a tag that exists), delete, admin
#   tags          patterns; without it: all
# The server reads this file and the passwords again when they change. For a user: htpasswd -B. To find out which rule
# decides: ipdr access check
groups: {}
rules:
`

const administratorRule = `  - who: ['user:${administrator}']
    repositories: ['**']
    actions: [pull, push, tag, delete, admin]
`

const rulesOf: Record<Preset, string> = {
  private: `  # whoever has a password may pull and push
  - who: [authenticated]
    repositories: ['**']
    actions: [pull, push, tag]
`,
  'public-pull': `  # everybody may pull, and so may every peer
  - who: [anonymous]
    repositories: ['**']
    actions: [pull]
  # whoever has a password may push
  - who: [authenticated]
    repositories: ['**']
    actions: [push, tag]
`,
  open: `  # whoever reaches the port may do everything but administer
  - who: [anonymous]
    repositories: ['**']
    actions: [pull, push, tag, delete]
`,
}

export function presetFile(preset: Preset): string {
  return `${head}${rulesOf[preset]}${administratorRule}`
}
