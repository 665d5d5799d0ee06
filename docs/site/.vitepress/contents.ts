/** What the site has, in its order: a test finds a page of docs/ that is missing here */
export const contents: readonly { title: string; pages: readonly string[] }[] = [
  {
    title: 'Begin',
    pages: ['README.md', 'docs/guides/first-run.md', 'docs/install.md'],
  },
  {
    title: 'Guides',
    pages: [
      'docs/guides/compose.md',
      'docs/guides/kubernetes.md',
      'docs/guides/mirror.md',
      'docs/guides/air-gap.md',
      'docs/guides/models.md',
      'docs/guides/ci.md',
    ],
  },
  {
    title: 'Operate',
    pages: [
      'docs/operations.md',
      'docs/storage.md',
      'docs/undo.md',
      'docs/backups.md',
      'docs/access.md',
      'docs/security.md',
      'docs/pages.md',
      'docs/policies.md',
      'docs/mirrors.md',
      'docs/events.md',
      'docs/names.md',
      'docs/troubleshooting.md',
    ],
  },
  {
    title: 'Reference',
    pages: ['docs/configuration.md', 'docs/commands.md', 'docs/command-reference.md', 'docs/http-api.md', 'docs/http-reference.md'],
  },
  {
    title: 'How it works',
    pages: ['docs/architecture.md', 'docs/decisions/README.md', 'docs/benchmarks.md'],
  },
  {
    title: 'Project',
    pages: ['CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md'],
  },
]
