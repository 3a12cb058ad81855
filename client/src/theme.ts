import { createTheme, defaultVariantColorsResolver, type MantineColorsTuple } from '@mantine/core'

/** The same greens as in `theme.css`; Mantine asks for them when it works out which text is readable on a button. */
const evergreen: MantineColorsTuple = [
  '#e6f5f1', '#cdeae2', '#9bd5c6', '#66bea8', '#3aa68c', '#1d8c73', '#0f7863', '#0f6b5c', '#0b5549', '#083f37',
]

/** Scroll locking would write a <style> element, which the page's content security policy forbids. */
const withoutScrollLock = { defaultProps: { lockScroll: false } }

export const theme = createTheme({
  colors: { evergreen },
  primaryColor: 'evergreen',
  primaryShade: { light: 7, dark: 4 },
  defaultRadius: 'md',
  cursorType: 'pointer',
  // White is not readable on the light green that the dark page uses.
  variantColorResolver: (input) => {
    const usual = defaultVariantColorsResolver(input)
    const isPrimary = input.variant === 'filled' && (input.color ?? input.theme.primaryColor) === input.theme.primaryColor
    return isPrimary ? { ...usual, color: 'var(--mantine-primary-color-contrast)' } : usual
  },
  components: {
    Modal: { defaultProps: { lockScroll: false, centered: true, overlayProps: { backgroundOpacity: 0.4 } } },
    Drawer: withoutScrollLock,
    // The placeholder would be a child of the menu that is no menu item.
    Button: { defaultProps: { fw: 520 } },
    Menu: { defaultProps: { withInitialFocusPlaceholder: false } },
    DrawerRoot: withoutScrollLock,
  },
})
