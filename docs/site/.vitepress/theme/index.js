/** The theme of VitePress with the fonts of the reader's system: less to load */
import theme from 'vitepress/theme-without-fonts'

export default theme
