"""Commands that print the figures of the manual: peers and families side by side, lift, imputation, scale."""
