"""Forecasting of one time series: its frequency, its cleaning, its parts, ARIMA on what is left, and what comes next."""
